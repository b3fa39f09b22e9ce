-- TIKI in Neovim 0.11 or later: put this into ~/.config/nvim/plugin/tiki.lua.

vim.filetype.add({ extension = { tiki = "tiki" } })
vim.treesitter.language.register("markdown", "tiki") -- prose and tables; the server's tokens colour the clauses

vim.lsp.config("tiki", {
  cmd = { "elias", "tiki", "lsp" },
  filetypes = { "tiki" },
  root_markers = { "elias.yaml", ".git" },
})
vim.lsp.enable("tiki")

vim.api.nvim_create_autocmd("LspAttach", {
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client == nil or client.name ~= "tiki" then
      return
    end
    vim.lsp.completion.enable(true, client.id, event.buf, { autotrigger = true })
    vim.lsp.inlay_hint.enable(true, { bufnr = event.buf })
    vim.lsp.codelens.refresh({ bufnr = event.buf })
    vim.api.nvim_create_autocmd({ "BufEnter", "InsertLeave" }, {
      buffer = event.buf,
      callback = function() vim.lsp.codelens.refresh({ bufnr = event.buf }) end,
    })
    vim.api.nvim_create_autocmd("BufWritePre", {
      buffer = event.buf,
      callback = function() vim.lsp.buf.format({ bufnr = event.buf, name = "tiki" }) end,
    })
  end,
})
