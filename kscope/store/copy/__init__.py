"""Copy a database into another one, of any engine, while both are used."""
