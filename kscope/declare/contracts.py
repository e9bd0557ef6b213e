"""The contracts of `kscope.h`: promises of a bcc program that the agent relies on."""

# Name in `provides` -> the macro of kscope.h that fulfils it.
CONTRACTS = {
    "threshold": "KS_THRESHOLD(MICROSECONDS)",
    "waiting": "KS_WAITING(STRUCT)",
}
