"""The read listener: API routes, the API of 2016, the page's files."""
