"""attnsci: trained models of visual attention, recorded and compared with brains and eyes."""
