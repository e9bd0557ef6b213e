"""The listeners: Starlette applications over the store and the questions."""
