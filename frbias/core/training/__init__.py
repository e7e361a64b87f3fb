"""Fine-tuning with margin losses and frozen stages."""
