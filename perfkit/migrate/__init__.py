"""Taking live tables to new indexes: what is to be known before, and what will be done."""
