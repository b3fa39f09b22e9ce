"""The policy tier: what a policy is asked, the engines that score it, and when its answer is taken."""
