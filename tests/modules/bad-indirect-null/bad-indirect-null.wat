;; Calls an empty table row.
(module
  (type $v_i (func (result i32)))
  (memory 1 1)
  (table 4 funcref)
  (global $row (mut i32) (i32.const 3))
  (func (export "app_main") (result i32)
    (call_indirect (type $v_i) (global.get $row))))
