"""What the stages can be asked: one module a request, none of which imports anything heavy."""
