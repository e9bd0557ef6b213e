"""Tables as Parquet and Arrow, by the package arro3, which only this folder knows."""
