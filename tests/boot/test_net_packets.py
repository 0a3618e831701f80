#!/usr/bin/env python3
"""Neighbours on the wire that mean no good: malformed packets of all protocols, wrong answers of name servers and DHCP servers (net_fuzz.py)."""
import net_fuzz

net_fuzz.main('wire', 'lease')
