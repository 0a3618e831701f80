;; Loads from behind the end of its memory.
(module
  (memory 1 1)
  (func (export "app_main") (result i32)
    (i32.load (i32.const 0x10000))))
