"""SQLAlchemy's rules: what each backref, or pair, becomes, or why it stays as it is."""
