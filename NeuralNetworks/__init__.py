"""Networks whose first layer collapses onto the directions that matter (Theorems 4.1 and 4.2)."""
