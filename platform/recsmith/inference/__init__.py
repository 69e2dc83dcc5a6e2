"""From a request to a ranked list: the one ranking that evaluation, artifact and server share."""
