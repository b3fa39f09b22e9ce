"""Advisors: cloud models that are asked what the policy is not sure of, before a person is."""
