"""Every request passes here: limits, tokens, disconnect, compression, problem documents."""
