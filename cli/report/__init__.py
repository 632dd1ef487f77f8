"""``--report``: a page to review a conversion with."""
