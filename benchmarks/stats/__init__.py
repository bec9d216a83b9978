"""Pure numbers: intervals, ratios, effects and what they say."""
