;; A driver without a device, whose exported function never returns: it computes on its client's thread.
(module
  (memory 1 1)
  (func (export "driver_start") (result i32) (i32.const 0))
  (func (export "driver_event") (param i32) (result i32) (i32.const 0))
  (func (export "poke") (result i32)
    (loop $for_ever (br $for_ever))
    (i32.const 0)))
