"""ELF files, of any user's process: headers, names of functions, unwind rules."""
