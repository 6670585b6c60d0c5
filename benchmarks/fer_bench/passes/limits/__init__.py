"""How far each row is from the machine's limit, and where its time goes."""
