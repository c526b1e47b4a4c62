"""The nouns: values, facts and the state that they fold into. Pure: standard library and cloudpickle, no clock, no input or output."""
