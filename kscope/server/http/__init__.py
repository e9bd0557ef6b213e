"""What every request passes: limits, tokens, disconnect, compression, problem documents."""
