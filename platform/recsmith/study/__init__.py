"""The orchestrator: one study, one trial."""
