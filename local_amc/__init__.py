"""An imitation of Amazon's services for development and tests; imports nothing of the product."""
