"""Questions of all categories at once: one file each, found by its QUESTIONS."""
