"""The appliance as other people's programs find it: sipp, baresip and tshark against the real processes."""
