;; Calls a table row of another type.
(module
  (type $v_i (func (result i32)))
  (type $i_i (func (param i32) (result i32)))
  (memory 1 1)
  (table 4 funcref)
  (elem (i32.const 0) $one)
  (global $row (mut i32) (i32.const 0))
  (func $one (type $v_i) (i32.const 1))
  (func (export "app_main") (result i32)
    (call_indirect (type $i_i) (i32.const 7) (global.get $row))))
