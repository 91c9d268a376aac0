"""The requests of the HTTP API, by idea: a file for each."""
