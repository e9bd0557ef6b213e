"""The model of a category (model.py), units of numbers (units.py), and the options of probes."""
