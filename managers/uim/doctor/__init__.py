"""What `elias doctor` looks at: one module a theme, each with what can be found there as codes.

`observe` touches the world and gives plain values; `judge` is pure and says what they mean. Nothing is changed, no
model is asked, no key is sent, and a check that fails is a finding itself.
"""
