#!/usr/bin/env python3
"""Clients of a server that mean no good: many connections, slow, deaf and vanishing ones, malformed requests (net_fuzz.py)."""
import net_fuzz

net_fuzz.main('web')
