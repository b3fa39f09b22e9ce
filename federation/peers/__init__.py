"""What two clusters say to one another: messages, who signed them, and whether they come anew.

Pure but for the files of `identity`."""
