"""The server as an editor meets it: a process, spoken to over its standard input and output."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from editing import REPOSITORY, Editor, insert
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tests.ports import free_port

SPEC = """\
## LAB Pressure Spec
- limit: 80%
- fallback: request_operator
- hot: when memory > limit: shed_load(newest)
- otherwise: hold

### Examples
| memory | decides |
| --- | --- |
| 95% | shed_load |
| 50% | hold |
"""


@pytest.fixture
async def editor(tmp_path: Path) -> AsyncIterator[Editor]:
    folder = tmp_path / "specs"
    folder.mkdir()
    made = Editor(folder)
    await made.start()
    yield made
    assert await made.stop() == 0


def at(text: str, word: str, offset: int = 0) -> types.Position:
    before = text[: text.index(word) + offset]
    return types.Position(before.count("\n"), len(before) - before.rfind("\n") - 1)


async def test_an_editor_opens_types_completes_hovers_renames_formats_and_runs_examples(editor: Editor) -> None:
    client, document = editor.client, editor.document("a.tiki")
    editor.open("a.tiki", SPEC)
    assert await editor.published("a.tiki", version=1) == []

    editor.change("a.tiki", 2, insert(4, 0, "- warm: when memry > 60%: scale_out\n"))
    assert await editor.published("a.tiki", version=2) == ["TIKI-301"]
    [wrong] = editor.diagnostics[document.uri].diagnostics
    assert (wrong.range.start, wrong.range.end) == (types.Position(4, 13), types.Position(4, 18))

    context = types.CodeActionContext([wrong])
    found = await client.text_document_code_action_async(types.CodeActionParams(document, wrong.range, context))
    [fix] = found or []
    assert isinstance(fix, types.CodeAction)
    assert fix.title == "Write `memory`"
    editor.change("a.tiki", 3, types.TextDocumentContentChangePartial(wrong.range, "memory"))
    assert await editor.published("a.tiki", version=3) == []

    editor.change("a.tiki", 4, insert(4, 0, "- when queue > 3 and me\n"))
    position = types.CompletionParams(document, types.Position(4, 23))
    completed = await client.text_document_completion_async(position)
    assert isinstance(completed, types.CompletionList)
    labels = [item.label for item in completed.items]
    assert "memory" in labels
    assert "limit" in labels
    assert "shed_load" not in labels
    editor.change(
        "a.tiki", 5, types.TextDocumentContentChangePartial(types.Range(types.Position(4, 0), types.Position(5, 0)), "")
    )

    hovered = await client.text_document_hover_async(types.HoverParams(document, at(SPEC, "> limit", 4)))
    assert hovered is not None
    assert isinstance(hovered.contents, types.MarkupContent)
    assert "`80%`, set at a.tiki:2" in hovered.contents.value

    defined = await client.text_document_definition_async(types.DefinitionParams(document, at(SPEC, "> limit", 4)))
    assert isinstance(defined, list)
    assert [one.range.start for one in defined if isinstance(one, types.Location)] == [types.Position(1, 2)]

    renamed = await client.text_document_rename_async(types.RenameParams(document, at(SPEC, "limit: 80", 2), "top"))
    assert renamed is not None
    [change] = renamed.document_changes or []
    assert isinstance(change, types.TextDocumentEdit)
    assert change.text_document.version == 5
    assert [edit.range.start.line for edit in change.edits if isinstance(edit, types.TextEdit)] == [1, 3]
    with pytest.raises(JsonRpcException, match="`memory` is a fact"):
        await client.text_document_rename_async(types.RenameParams(document, at(SPEC, "memory > limit", 2), "top"))

    options = types.FormattingOptions(4, True)
    formatted = await client.text_document_formatting_async(types.DocumentFormattingParams(document, options))
    edits = [(edit.range.start.line, edit.new_text) for edit in formatted or []]
    assert (9, "| ------ | --------- |\n") in edits

    lenses = await client.text_document_code_lens_async(types.CodeLensParams(document))
    [lens] = lenses or []
    assert lens.command is not None
    await client.workspace_execute_command_async(
        types.ExecuteCommandParams(lens.command.command, lens.command.arguments)
    )
    assert await editor.told() == "TIKI: 2 examples pass"
    lenses = await client.text_document_code_lens_async(types.CodeLensParams(document))
    assert [one.command.title for one in lenses or [] if one.command] == ["2 examples pass"]


async def test_after_a_pause_the_solver_and_the_examples_have_their_say(editor: Editor) -> None:
    hidden = SPEC.replace("- otherwise", "- warm: when memory > 90%: scale_out\n- otherwise").replace(
        "50% | hold", "50% | migrate"
    )
    editor.open("a.tiki", hidden)
    assert await editor.published("a.tiki", version=1) == []
    codes = await editor.published("a.tiki", codes=["TIKI-702", "elias tiki test"])
    assert codes
    [rule, example] = editor.diagnostics[editor.uri("a.tiki")].diagnostics
    assert rule.range.start.line == 4
    assert example.range.start.line == 11
    assert "expected migrate, decided hold" in example.message


SCENARIO = """\
- decides: lab.pressure

## Scenario: memory is short
- load 10s: memory 70% 90%
- at 0s: hold
- at 10s: shed_load
"""


async def test_scenarios_are_checked_against_the_specs_where_these_have_no_errors(tmp_path: Path) -> None:
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "a.tiki").write_text(SPEC, encoding="utf-8")
    (folder / "a_test.tiki").write_text(SCENARIO.replace("shed_load", "shed_lod"), encoding="utf-8")
    editor = Editor(folder)
    await editor.start()
    editor.open("a.tiki", SPEC)
    assert await editor.published("a_test.tiki", codes=["TIKI-631"])
    editor.open("a_test.tiki", SCENARIO.replace("memory 70%", "memry 70%"))
    assert await editor.published("a_test.tiki", version=1, codes=["TIKI-623"])
    [wrong] = editor.diagnostics[editor.uri("a_test.tiki")].diagnostics
    assert (wrong.range.start, wrong.range.end) == (types.Position(3, 12), types.Position(3, 17))
    assert "did you mean `memory`" in str(wrong.message)
    editor.replace("a.tiki", 2, SPEC.replace("memory > limit", "memry > limit"))
    assert await editor.published("a.tiki", version=2) == ["TIKI-301"]
    assert await editor.published("a_test.tiki", codes=[]) == []
    editor.replace("a.tiki", 3, SPEC)
    assert await editor.published("a_test.tiki", codes=["TIKI-623"])
    editor.replace("a_test.tiki", 2, SCENARIO)
    assert await editor.published("a_test.tiki", version=2, codes=[]) == []
    assert await editor.stop() == 0


async def test_nonsense_from_an_editor_is_survived(editor: Editor) -> None:
    editor.change("never_opened.tiki", 1, insert(0, 0, "x"))
    editor.client.text_document_did_close(types.DidCloseTextDocumentParams(editor.document("never_opened.tiki")))
    editor.client.protocol.notify("textDocument/didChange", {"textDocument": 5})
    hover = types.HoverParams(editor.document("never_opened.tiki"), types.Position(10**6, 10**6))
    assert await editor.client.text_document_hover_async(hover) is None
    editor.open("a.tiki", SPEC, version=5)
    editor.replace("a.tiki", 3, "## LAB Presure Spec\n")
    editor.change(
        "a.tiki",
        6,
        types.TextDocumentContentChangePartial(types.Range(types.Position(900, 5), types.Position(3, 7)), "x"),
    )
    assert await editor.published("a.tiki", version=6)
    editor.replace("a.tiki", 7, "\ud83d\ud83d \U0001f600" * 2000 + "\r\r\n")
    assert await editor.published("a.tiki", version=7) == ["TIKI-101"]
    editor.replace("a.tiki", 8, SPEC)
    assert await editor.published("a.tiki", version=8) == []


async def test_a_folder_is_checked_as_one_with_unsaved_texts_over_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "specs"
    (folder / "overlays" / "prod").mkdir(parents=True)
    (folder / "a.tiki").write_text(SPEC, encoding="utf-8")
    (folder / "b.tiki").write_text("## LAB Pressure Spec\n- hot: when busy: scale_out\n", encoding="utf-8")
    (folder / "overlays" / "prod" / "o.tiki").write_text("## LAB Pressure Spec\n- limit: 70%\n", encoding="utf-8")
    (folder / "broken.tiki").write_bytes(b"\xff\xfe")
    editor = Editor(folder)
    await editor.start()
    assert await editor.published("b.tiki") == ["TIKI-502"]
    assert await editor.published("broken.tiki") == ["TIKI-101"]
    editor.open("b.tiki", "## LAB Pressure Spec\n- warm: when busy: scale_out\n")
    assert await editor.published("b.tiki", version=1) == []
    editor.open("overlays/prod/o.tiki", "## LAB Pressure Spec\n- limt: 70%\n")
    assert await editor.published("overlays/prod/o.tiki", version=1) == ["TIKI-302"]
    editor.replace("overlays/prod/o.tiki", 2, "## LAB Pressure Spec\n- limit: 70%\n")
    assert await editor.published("overlays/prod/o.tiki", version=2) == []
    position = types.Position(1, 3)
    document = editor.document("overlays/prod/o.tiki")
    found = await editor.client.text_document_definition_async(types.DefinitionParams(document, position))
    assert isinstance(found, list)
    assert sorted(one.uri.rsplit("/", 1)[1] for one in found if isinstance(one, types.Location)) == ["a.tiki", "o.tiki"]
    editor.client.text_document_did_close(types.DidCloseTextDocumentParams(editor.document("b.tiki")))
    assert await editor.published("b.tiki", codes=["TIKI-502"]) == ["TIKI-502"]
    (folder / "b.tiki").write_text("## LAB Presure Spec\n", encoding="utf-8")
    change = types.FileEvent(editor.uri("b.tiki"), types.FileChangeType.Changed)
    editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([change]))
    assert await editor.published("b.tiki", codes=["TIKI-305"]) == ["TIKI-305"]
    assert await editor.stop() == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_columns_are_counted_as_agreed(tmp_path: Path, encoding: str) -> None:
    folder = tmp_path / "specs"
    folder.mkdir()
    editor = Editor(folder)
    kinds = types.PositionEncodingKind
    agreed = await editor.start(general=types.GeneralClientCapabilities(position_encodings=[kinds(encoding)]))
    assert agreed.capabilities.position_encoding == encoding
    editor.open(
        "a.tiki",
        '## LAB Pressure Spec\r\n- x: when "\U0001f600é" in labels and memry > 5%: hold\r\n- fallback: hold\r\n',
    )
    assert await editor.published("a.tiki", version=1) == ["TIKI-301"]
    [wrong] = editor.diagnostics[editor.uri("a.tiki")].diagnostics
    extra = {"utf-8": 4 + 2, "utf-16": 2 + 1, "utf-32": 2}[encoding]
    assert wrong.range.start == types.Position(1, 27 + extra)
    assert await editor.stop() == 0


async def test_it_listens_on_a_port_of_this_machine_alone(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    editor = Editor(tmp_path / "specs")
    port = free_port()
    process = await asyncio.create_subprocess_exec(*editor.command("--tcp", str(port)), cwd=REPOSITORY)
    try:
        while True:
            try:
                await editor.client.start_tcp("127.0.0.1", port)
                break
            except ConnectionRefusedError:
                assert process.returncode is None
                await asyncio.sleep(0.05)
        listening = {at.laddr.ip for at in psutil.Process(process.pid).net_connections() if at.status == "LISTEN"}
        assert listening == {"127.0.0.1"}
        await editor.greet()
        editor.open("a.tiki", SPEC)
        assert await editor.published("a.tiki", version=1) == []
        await editor.client.shutdown_async(None)
        editor.client.exit(None)
        assert await asyncio.wait_for(process.wait(), 20) == 0
        await editor.client.stop()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
