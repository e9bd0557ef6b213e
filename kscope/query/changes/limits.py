"""The few numbers that decide what is unusual; `benchmarks/changes.py` shows how good they are."""

# Deviations that are not usual.
UNUSUAL = 7.0
# A deviation is at least this part of the usual value, and this part of all that varies.
RELATIVE, FEW = 0.05, 0.001
# The second largest deviation of the earlier windows is at most so many, the largest so many.
SECOND, LARGEST = 4.0, 7.0
# A change that is a smaller part of all that varies is not unusual.
EFFECT = 0.006
# A change in a smaller part of the slices is a burst.
LASTING = 0.6
# A burst is unusual beyond so many times the largest of the earlier windows.
BURST = 2.0
# The least load of a process that is unusual, as a power of 2, and its least deviations.
LOAD, LOADED = 0.4, 9.0
# A place is gone with less than this part of the usual value, if it never had less than that.
GONE, ALWAYS = 0.05, 0.15
# The deviations of a place that is gone.
GONE_BY = 20.0
