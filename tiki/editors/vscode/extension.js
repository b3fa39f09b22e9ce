// Starts `elias tiki lsp` for specs and for the `tiki` fences of Markdown files; all the rest is the server's.

const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function activate() {
  const settings = workspace.getConfiguration("tiki");
  const server = {
    command: settings.get("command"),
    args: ["tiki", "lsp", ...settings.get("arguments")],
    options: { cwd: workspace.workspaceFolders?.[0]?.uri.fsPath },
  };
  const documentSelector = [{ language: "tiki" }, { scheme: "file", language: "markdown" }];
  client = new LanguageClient("tiki", "TIKI", server, { documentSelector });
  await client.start();
}

function deactivate() {
  return client?.stop();
}

module.exports = { activate, deactivate };
