;; Constants in addresses become offsets where the sum surely does not wrap, and only there.
;;passes fold gvn address dead
(module (memory 1)
  (func $unknown (param i32) (result i32) (i32.load (i32.add (local.get 0) (i32.const 16))))
  (func $byte (param i32) (result i32)
    (i32.load offset=4 (i32.add (i32.load8_u (local.get 0)) (i32.const 16))))
  (func $edge (param i32) (result i32) ;; 0xff + 0xffffff00 does not wrap, but is no displacement; nor may 0xffffff01 fold
    (i32.add (i32.load (i32.add (i32.load8_u (local.get 0)) (i32.const 0xffffff00)))
             (i32.load (i32.add (i32.load8_u (local.get 0)) (i32.const 0xffffff01)))))
  (func $scaled (param i32 i32) (result i32) ;; (i & 15) + 3 elements of 4, in row j & 7
    (i32.load (i32.add (i32.shl (i32.add (i32.and (local.get 0) (i32.const 15)) (i32.const 3)) (i32.const 2))
                       (i32.add (i32.shl (i32.and (local.get 1) (i32.const 7)) (i32.const 6)) (i32.const 1024)))))
  (func $back (param i32) (result i32) ;; x ≥ 8, so x − 8 does not wrap; its offset must stay positive
    (i32.add (i32.load offset=8 (i32.add (i32.or (i32.and (local.get 0) (i32.const 0xf0)) (i32.const 8)) (i32.const -8)))
             (i32.load offset=9 (i32.add (i32.add (i32.load8_u (local.get 0)) (i32.const 8)) (i32.const -16)))))
  (func $state (param i32) (result i32) (local i32 i32) ;; a state that is 0, 3 or 9, chosen in two places
    (loop
      (local.set 2 (i32.load offset=4 (i32.add (i32.shl (local.get 1) (i32.const 2)) (i32.const 1024))))
      (if (i32.eq (local.get 1) (local.get 0))
        (then (local.set 1 (select (i32.const 3) (local.get 1) (local.get 2))))
        (else (if (local.get 2) (then (local.set 1 (i32.const 9))))))
      (br_if 0 (local.get 2)))
    (local.get 1))
  (func $open (param i32) (result i32) (local i32) ;; one of the choices is anything
    (loop
      (local.set 1 (select (local.get 0) (local.get 1)
        (i32.load (i32.add (i32.shl (local.get 1) (i32.const 2)) (i32.const 1024)))))
      (br_if 0 (i32.ne (local.get 1) (i32.const 3))))
    (local.get 1)))
;;| func 0 $unknown (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.const 16
;;|     v3 = i32.add v1 v2
;;|     v4 = i32.load v3 +0
;;|     return v4
;;| func 1 $byte (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.load.8u v1 +0
;;|     v5 = i32.load v2 +20
;;|     return v5
;;| func 2 $edge (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.load.8u v1 +0
;;|     v3 = i32.const -256
;;|     v4 = i32.add v2 v3
;;|     v5 = i32.load v4 +0
;;|     v6 = i32.load.8u v1 +0
;;|     v7 = i32.const -255
;;|     v8 = i32.add v6 v7
;;|     v9 = i32.load v8 +0
;;|     v10 = i32.add v5 v9
;;|     return v10
;;| func 3 $scaled (i32 i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.param 1
;;|     v3 = i32.const 15
;;|     v4 = i32.and v1 v3
;;|     v7 = i32.const 2
;;|     v18 = i32.shl v4 v7
;;|     v9 = i32.const 7
;;|     v10 = i32.and v2 v9
;;|     v11 = i32.const 6
;;|     v12 = i32.shl v10 v11
;;|     v19 = i32.add v18 v12
;;|     v16 = i32.load v19 +1036
;;|     return v16
;;| func 4 $back (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.const 240
;;|     v3 = i32.and v1 v2
;;|     v6 = i32.const -8
;;|     v8 = i32.load v3 +8
;;|     v9 = i32.load.8u v1 +0
;;|     v13 = i32.add v9 v6
;;|     v14 = i32.load v13 +9
;;|     v15 = i32.add v8 v14
;;|     return v15
;;| func 5 $state (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v24 = i32.const 0
;;|     jump b1
;;| b1: preds b0 b4 loop b1 depth 1
;;|     v4 = i32.phi v24 v21
;;|     v5 = i32.const 2
;;|     v6 = i32.shl v4 v5
;;|     v9 = i32.load v6 +1028
;;|     v10 = i32.eq v1 v4
;;|     branch v10 b2 b3
;;| b2: preds b1 loop b1 depth 1
;;|     v12 = i32.const 3
;;|     v13 = i32.select v9 v12 v4
;;|     jump b4
;;| b3: preds b1 loop b1 depth 1
;;|     branch v9 b5 b6
;;| b5: preds b3 loop b1 depth 1
;;|     v16 = i32.const 9
;;|     jump b7
;;| b6: preds b3 loop b1 depth 1
;;|     jump b7
;;| b7: preds b5 b6 loop b1 depth 1
;;|     v19 = i32.phi v16 v4
;;|     jump b4
;;| b4: preds b2 b7 loop b1 depth 1
;;|     v21 = i32.phi v13 v19
;;|     branch v9 b1 b8
;;| b8: preds b4
;;|     return v21
;;| func 6 $open (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v14 = i32.const 0
;;|     jump b1
;;| b1: preds b0 b1 loop b1 depth 1
;;|     v3 = i32.phi v14 v9
;;|     v4 = i32.const 2
;;|     v5 = i32.shl v3 v4
;;|     v6 = i32.const 1024
;;|     v7 = i32.add v5 v6
;;|     v8 = i32.load v7 +0
;;|     v9 = i32.select v8 v1 v3
;;|     v10 = i32.const 3
;;|     v11 = i32.ne v9 v10
;;|     branch v11 b1 b2
;;| b2: preds b1
;;|     return v9
