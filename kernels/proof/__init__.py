"""How backends are proven: the parity rule, guards of NaN, and what the compiler makes of the kernels. Imports the registry."""
