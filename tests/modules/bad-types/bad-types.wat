;; Does not validate: an i32 where the type says i64. (Assembled with wat2wasm --no-check.)
(module
  (memory 1 1)
  (func (export "app_main") (result i32)
    (i64.add (i32.const 1) (i64.const 2))
    (drop)
    (i32.const 0)))
