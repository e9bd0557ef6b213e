"""Function names of ELF files for the symbol table: from files, or from debuginfod servers."""
