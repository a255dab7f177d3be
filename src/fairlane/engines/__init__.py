"""What runs trials: the contract, and the engines that keep it."""
