;; Its manifest asks for more than the configuration grants.
(module
  (memory 1 1)
  (func (export "app_main") (result i32) (i32.const 0)))
