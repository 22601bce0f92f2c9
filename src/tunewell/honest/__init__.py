"""Statistics of "is it really better": arrays in, arrays out."""
