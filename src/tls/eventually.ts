/** A value that is here, or one that the outside will give later. */
export type Eventually<Value> = Value | Promise<Value>
