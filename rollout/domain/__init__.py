"""Pure decisions: a world and a time in, actions and a status out."""
