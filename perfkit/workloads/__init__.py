"""What the tables of a service hold and which questions it asks, read from one TOML file."""
