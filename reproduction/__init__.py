"""The roof: runs the three experiments and says, claim by claim, what holds."""
