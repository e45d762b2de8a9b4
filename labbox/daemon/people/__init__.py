"""Users, passwords, keys, tokens, the audit trail."""
