"""What an image set looks like to a recogniser: similarity, defects, ageing, distance from photographs."""
