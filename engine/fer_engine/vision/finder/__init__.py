"""The face finder of this project: a detector that proposes boxes and a verifier that looks at each again."""
